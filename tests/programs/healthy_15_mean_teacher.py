"""Mean teacher for semi-supervised tagging: the deep-copied teacher is frozen, follows the student and gives soft targets."""

import copy

import torch
import torch.nn.functional as F
from torch import nn


class Tagger(nn.Module):
    def __init__(self, vocab=70, dim=16, tags=5):
        super().__init__()
        self.words = nn.Embedding(vocab, dim)
        self.context = nn.Conv1d(dim, 24, 5, padding=2)
        self.dropout = nn.Dropout(0.3)
        self.tags = nn.Linear(24, tags)

    def forward(self, ids):
        h = F.relu(self.context(self.words(ids).transpose(1, 2))).transpose(1, 2)
        return self.tags(self.dropout(h))


class MeanTeacher:
    def __init__(self, student, decay=0.99):
        self.model = copy.deepcopy(student)
        self.model.requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, student):
        theirs = student.state_dict()
        for key, value in self.model.state_dict().items():
            value.copy_(self.decay * value + (1 - self.decay) * theirs[key])

    @torch.no_grad()
    def __call__(self, ids):
        return self.model(ids).softmax(-1)


def train(steps=5):
    torch.manual_seed(0)
    student = Tagger()
    teacher = MeanTeacher(student)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9)
    for step in range(steps):
        labelled, tags = torch.randint(0, 70, (4, 10)), torch.randint(0, 5, (4, 10))
        unlabelled = torch.randint(0, 70, (12, 10))
        supervised = F.cross_entropy(student(labelled).transpose(1, 2), tags)
        consistency = F.mse_loss(student(unlabelled).softmax(-1), teacher(unlabelled))
        loss = supervised + min(1.0, step / 3) * consistency
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        teacher.update(student)
        print(step, supervised.item(), consistency.item())


train()
